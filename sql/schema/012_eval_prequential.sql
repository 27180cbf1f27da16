-- How well each event was predicted before it was learnt.
--
-- grain:   one row per minute run, model, segment and metric
create table eval.prequential (
    flow_run_id varchar not null,
    mlflow_run_id varchar not null,
    model_version varchar,
    data_snapshot bigint not null,
    model varchar not null,
    segment varchar not null,
    metric varchar not null,
    value double,
    n_events bigint not null,
    minute timestamp not null,
    evaluated_at timestamp not null
);
comment on table eval.prequential is 'Quality on the events of each minute, predicted before they were learnt';
comment on column eval.prequential.flow_run_id is 'The Prefect flow run';
comment on column eval.prequential.mlflow_run_id is 'The MLflow run that took the events in';
comment on column eval.prequential.model_version is 'The registered version that predicted; null for a baseline';
comment on column eval.prequential.data_snapshot is 'The lake snapshot up to which events were read';
comment on column eval.prequential.model is
'live (before it learnt these events), nightly (as the last night trained it) or recent_popular';
comment on column eval.prequential.segment is 'all, or a part of the events';
comment on column eval.prequential.metric is 'ndcg_at_10, hr_at_10 or mrr';
comment on column eval.prequential.value is 'The mean over the events of the segment; null where it has none';
comment on column eval.prequential.n_events is 'Events in the segment';
comment on column eval.prequential.minute is 'Start of the minute of evaluated_at, UTC';
comment on column eval.prequential.evaluated_at is 'When the lists that follow from these events were made, UTC';
