-- What people did with the items that they were shown: by impression, and summed up by hour.
--
-- grain:   one row per impression; one row per hour, version, scenario, source, slot, position, segment, arm and metric
create table eval.outcomes (
    impression_id varchar not null,
    recommendation_id varchar,
    user_id varchar not null,
    item_id varchar not null,
    position integer not null,
    scenario varchar not null,
    source varchar not null,
    slot varchar not null,
    propensity float not null,
    model_version varchar not null,
    arm varchar,
    segment varchar not null,
    shown_at timestamp not null,
    clicked_at timestamp,
    bought_at timestamp,
    value double,
    rating double,
    built_at timestamp not null
);
comment on table eval.outcomes is
'Impressions of recommended items and what the user did with the item afterwards; repeats, bots and items of no list are left out';
comment on column eval.outcomes.impression_id is 'event_id of the impression in raw.events';
comment on column eval.outcomes.recommendation_id is 'The list, as the impression named it; null if it named none';
comment on column eval.outcomes.user_id is 'The user; a merged session counts as its user';
comment on column eval.outcomes.item_id is 'The item that was shown';
comment on column eval.outcomes.position is 'Rank at which the item was shown, from 1: that of the impression, else that in the list';
comment on column eval.outcomes.scenario is 'The scenario of the list';
comment on column eval.outcomes.source is 'What lifted the item most, as in recs.recommendations';
comment on column eval.outcomes.slot is 'ranked or exploration';
comment on column eval.outcomes.propensity is 'Probability that this item was drawn for an exploration slot; 1 for ranked items';
comment on column eval.outcomes.model_version is 'Version of the registered model minutehand that ranked the list';
comment on column eval.outcomes.arm is 'control or challenger; null without an experiment, and for the list for unknown users';
comment on column eval.outcomes.segment is 'Warm or cold user and item, as in eval.offline; warm: with an event of weight above 0 before';
comment on column eval.outcomes.shown_at is 'Time of the impression, UTC';
comment on column eval.outcomes.clicked_at is 'Time of the first click that the impression brought, UTC; null without one';
comment on column eval.outcomes.bought_at is 'Time of the first purchase that the impression brought, UTC; null without one';
comment on column eval.outcomes.value is 'Sum of the values of these purchases; null without one or if none has a value';
comment on column eval.outcomes.rating is 'The last rating that the impression brought; null without one';
comment on column eval.outcomes.built_at is 'Time at which the row was computed, UTC';

create table eval.online (
    hour timestamp not null,
    model_version varchar not null,
    scenario varchar not null,
    source varchar not null,
    slot varchar not null,
    position integer not null,
    segment varchar not null,
    arm varchar,
    metric varchar not null,
    numerator double not null,
    denominator double not null,
    value double not null
);
comment on table eval.online is
'eval.outcomes by hour; over any rows of a metric, sum(numerator) / sum(denominator) is the rate';
comment on column eval.online.hour is 'Hour of the impressions, UTC';
comment on column eval.online.model_version is 'Version of the registered model minutehand that ranked the lists';
comment on column eval.online.scenario is 'The scenario of the lists';
comment on column eval.online.source is 'What lifted the items most, as in recs.recommendations';
comment on column eval.online.slot is 'ranked or exploration';
comment on column eval.online.position is 'Rank at which the items were shown, from 1';
comment on column eval.online.segment is 'Warm or cold user and item, as in eval.offline';
comment on column eval.online.arm is 'control or challenger; null without an experiment';
comment on column eval.online.metric is 'ctr, conversion, value or satisfaction';
comment on column eval.online.numerator is
'Impressions with a click (ctr) or a purchase (conversion), their value (value), sum of ratings (satisfaction)';
comment on column eval.online.denominator is 'Impressions; for satisfaction those with a rating';
comment on column eval.online.value is 'numerator / denominator';
