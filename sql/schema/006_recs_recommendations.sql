-- What each user should see next.
--
-- grain:   one row per user and rank
create table recs.recommendations (
    user_id varchar not null,
    rank integer not null,
    item_id varchar not null,
    score float not null,
    probability float not null,
    source varchar not null,
    reason varchar,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.recommendations is 'Recommended items of each user; user * is the list for unknown users';
comment on column recs.recommendations.user_id is 'The user, or * for unknown users';
comment on column recs.recommendations.rank is '1 is the best';
comment on column recs.recommendations.item_id is 'The item';
comment on column recs.recommendations.score is 'Log of the unnormalised probability; comparable within one list only';
comment on column recs.recommendations.probability is 'P(next item | user, time) over the catalogue that the user could be shown';
comment on column recs.recommendations.source is 'model, or popular for the list of unknown users';
comment on column recs.recommendations.reason is 'Explanation in words';
comment on column recs.recommendations.model_version is 'Version of the registered model minutehand';
comment on column recs.recommendations.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.recommendations.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.recommendations.data_snapshot is 'The lake snapshot that was read';
comment on column recs.recommendations.generated_at is 'Time of scoring, UTC';
