-- Past lists as rows, so that one person's can be deleted; the table begins with the lists that are published when it is created.
--
-- grain:   one row per publish and list that it changed
-- reads:   recs.recommendations, recs.scenario_recommendations, recs.publications
-- writes:  recs.list_history
create table recs.list_history (
    user_id varchar not null,
    scenario varchar not null,
    published_at timestamp not null,
    item_ids varchar[] not null,
    scores float[] not null,
    probability float,
    sources varchar[] not null,
    reasons varchar[] not null,
    publication_id varchar,
    model_version varchar not null,
    mlflow_run_id varchar not null,
    flow_run_id varchar not null,
    data_snapshot bigint not null,
    generated_at timestamp not null
);
comment on table recs.list_history is
'Past lists: one row per publish and list whose items or order it changed; the list of a user at a time is the last row until then';
comment on column recs.list_history.user_id is 'The user, or * for unknown users';
comment on column recs.list_history.scenario is 'The scenario; default for the lists of recs.recommendations';
comment on column recs.list_history.published_at is 'Time of publication, UTC; as in recs.publications';
comment on column recs.list_history.item_ids is 'The items, best first; empty if the user had no own list any more';
comment on column recs.list_history.scores is 'The scores in the order of the items, rounded to three decimals';
comment on column recs.list_history.probability is
'Probability of the first item; that of another one is this times exp(its score - the first score); null for an empty list';
comment on column recs.list_history.sources is 'What lifted each item most, in the order of the items; as source in recs.recommendations';
comment on column recs.list_history.reasons is 'The explanations in words, in the order of the items';
comment on column recs.list_history.publication_id is
'The publication, in recs.publications; null for lists from before this table, if unknown';
comment on column recs.list_history.model_version is 'Version of the registered model minutehand';
comment on column recs.list_history.mlflow_run_id is 'The MLflow run that trained it';
comment on column recs.list_history.flow_run_id is 'The Prefect flow run that published it';
comment on column recs.list_history.data_snapshot is 'The lake snapshot that was read';
comment on column recs.list_history.generated_at is 'Time of scoring, UTC';

insert into recs.list_history by name
with lists as (
    select
        'default' as scenario,
        *
    from recs.recommendations
    union all by name
    select *
    from recs.scenario_recommendations
),

publications as (
    select
        flow_run_id,
        model_version,
        data_snapshot,
        arg_max(publication_id, published_at) as publication_id,
        max(published_at) as published_at
    from recs.publications
    group by flow_run_id, model_version, data_snapshot
),

whole as (
    select
        user_id,
        scenario,
        list(item_id order by rank) as item_ids,
        list(round(score, 3)::float order by rank) as scores,
        arg_min(probability, rank) as probability,
        list(source order by rank) as sources,
        list(reason order by rank) as reasons,
        any_value(model_version) as model_version,
        any_value(mlflow_run_id) as mlflow_run_id,
        any_value(flow_run_id) as flow_run_id,
        any_value(data_snapshot) as data_snapshot,
        any_value(generated_at) as generated_at
    from lists
    group by user_id, scenario
)

select
    whole.*,
    publications.publication_id,
    coalesce(publications.published_at, whole.generated_at) as published_at
from whole
left join publications
    on whole.flow_run_id = publications.flow_run_id
        and whole.model_version = publications.model_version
        and whole.data_snapshot = publications.data_snapshot
order by whole.user_id, whole.scenario;
