-- Every publish: what, by which run, from which model and snapshot.
--
-- grain:   one row per publish
create table recs.publications (
    publication_id varchar not null,
    cadence varchar not null,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    n_users bigint not null,
    n_users_changed bigint not null,
    n_items bigint not null,
    published_at timestamp not null
);
comment on table recs.publications is 'Every publish of recommendation tables, one row each';
comment on column recs.publications.publication_id is 'Unique';
comment on column recs.publications.cadence is 'nightly';
comment on column recs.publications.model_version is 'Version of the registered model minutehand';
comment on column recs.publications.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.publications.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.publications.data_snapshot is 'The lake snapshot that was read';
comment on column recs.publications.n_users is 'Users with a list in it';
comment on column recs.publications.n_users_changed is 'Users whose top ten differs from their previous list';
comment on column recs.publications.n_items is 'Items in the catalogue';
comment on column recs.publications.published_at is 'Time of publication, UTC';
