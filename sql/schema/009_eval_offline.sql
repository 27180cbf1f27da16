-- How good each model was on events it had not seen, held out by time.
--
-- grain:   one row per night, model, segment and metric
create table eval.offline (
    flow_run_id varchar not null,
    mlflow_run_id varchar not null,
    model_version varchar,
    data_snapshot bigint not null,
    model varchar not null,
    segment varchar not null,
    metric varchar not null,
    value double,
    low double,
    high double,
    n_events bigint not null,
    evaluated_at timestamp not null
);
comment on table eval.offline is 'Quality on events held out by time, per night, model, segment and metric';
comment on column eval.offline.flow_run_id is 'The Prefect flow run';
comment on column eval.offline.mlflow_run_id is 'The MLflow run';
comment on column eval.offline.model_version is 'The registered version that the row is about; null for a baseline';
comment on column eval.offline.data_snapshot is 'The lake snapshot that was read';
comment on column eval.offline.model is 'minutehand, champion, most_popular, recent_popular or item_knn';
comment on column eval.offline.segment is 'all, or warm/cold user x warm/cold item';
comment on column eval.offline.metric is 'ndcg_at_10, hr_at_10, mrr, coverage_at_10 or ndcg_at_10_lift, the gain on the best baseline';
comment on column eval.offline.value is 'The metric; null where the segment has no events';
comment on column eval.offline.low is 'Lower end of the 95 % bootstrap interval over users, where one is given';
comment on column eval.offline.high is 'Upper end of that interval';
comment on column eval.offline.n_events is 'Held-out events in the segment';
comment on column eval.offline.evaluated_at is 'Time of evaluation, UTC';
