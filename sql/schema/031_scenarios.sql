-- Lists of the scenarios with in_tables, and the rules that the published lists follow.
--
-- grain:   one row per scenario, user and rank; scenario
create table recs.scenario_recommendations (
    scenario varchar not null,
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
comment on table recs.scenario_recommendations is
'Recommended items of each user in the scenarios with in_tables; recs.recommendations has the scenario default';
comment on column recs.scenario_recommendations.scenario is 'The scenario, as scenarios.toml names it';
comment on column recs.scenario_recommendations.user_id is 'The user, or * for unknown users';
comment on column recs.scenario_recommendations.rank is '1 is the best';
comment on column recs.scenario_recommendations.item_id is 'The item';
comment on column recs.scenario_recommendations.score is 'Log of the unnormalised probability; comparable within one list only';
comment on column recs.scenario_recommendations.probability is
'P(next item | user, time) over the items that the scenario could show to the user';
comment on column recs.scenario_recommendations.source is
'What lifted the row most: sequence, popularity, repeats, new or search; popular for user *';
comment on column recs.scenario_recommendations.reason is 'Explanation in words';
comment on column recs.scenario_recommendations.model_version is 'Version of the registered model minutehand';
comment on column recs.scenario_recommendations.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.scenario_recommendations.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.scenario_recommendations.data_snapshot is 'The lake snapshot that was read';
comment on column recs.scenario_recommendations.generated_at is 'Time of scoring, UTC';

create table ops.scenarios (
    scenario varchar not null,
    settings varchar not null,
    allowed_hash varchar not null,
    changed_at timestamp
);
comment on table ops.scenarios is 'The rules that the published lists follow; empty before the first scenarios.toml';
comment on column ops.scenarios.scenario is 'The scenario, as scenarios.toml names it';
comment on column ops.scenarios.settings is 'Its rules as JSON';
comment on column ops.scenarios.allowed_hash is 'Fingerprint of the items that its where allows; empty without where';
comment on column ops.scenarios.changed_at is 'Older lists follow other rules and are refreshed first, UTC; null if rules never changed';
