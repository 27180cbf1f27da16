-- The lists that the API has answered with.
--
-- grain:   one row per list
create table ops.served (
    recommendation_id varchar not null,
    user_id varchar,
    scenario varchar not null,
    model_version varchar not null,
    item_ids varchar[] not null,
    sources varchar[] not null,
    served_at timestamp not null
);
comment on table ops.served is 'The lists that the API has answered with; raw.events.recommendation_id names them';
comment on column ops.served.recommendation_id is 'Id of the list, as in the answer';
comment on column ops.served.user_id is 'The user or session that the list is for, as in the request; null without one';
comment on column ops.served.scenario is 'The scenario; default if the request named none';
comment on column ops.served.model_version is 'Version of the registered model minutehand that ranked it';
comment on column ops.served.item_ids is 'The items, best first';
comment on column ops.served.sources is 'What lifted each item most, in the order of the items; as source in recs.recommendations';
comment on column ops.served.served_at is 'Time of the answer, UTC';
