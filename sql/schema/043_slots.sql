-- Which rows of a list the ranking chose and which a draw among the new items, and with what probability.
--
-- grain:   one row per user and rank; one row per list
-- writes:  ops.served, recs.list_history
alter table recs.recommendations add column slot varchar default 'ranked';
alter table recs.recommendations add column propensity float default 1;
comment on column recs.recommendations.slot is 'ranked, or exploration for a new item that was drawn';
comment on column recs.recommendations.propensity is
'Probability that the draws give this item to its slot, given the items above it; 1 for ranked';

alter table recs.scenario_recommendations add column slot varchar default 'ranked';
alter table recs.scenario_recommendations add column propensity float default 1;
comment on column recs.scenario_recommendations.slot is 'ranked, or exploration for a new item that was drawn';
comment on column recs.scenario_recommendations.propensity is
'Probability that the draws give this item to its slot, given the items above it; 1 for ranked';

alter table recs.list_history add column slots varchar[];
alter table recs.list_history add column propensities float[];
comment on column recs.list_history.slots is 'ranked or exploration, in the order of the items; as slot in recs.recommendations';
comment on column recs.list_history.propensities is 'In the order of the items; as propensity in recs.recommendations';

alter table ops.served add column slots varchar[];
alter table ops.served add column propensities float[];
comment on column ops.served.slots is 'ranked or exploration, in the order of the items; as slot in recs.recommendations';
comment on column ops.served.propensities is 'In the order of the items; as propensity in recs.recommendations';

comment on table recs.list_history is
'Past lists: one row per publish and list whose items, order or slots it changed; the list of a user at a time is the last row until then';

update recs.list_history
set
    slots = list_transform(item_ids, lambda item_id: 'ranked'),
    propensities = list_transform(item_ids, lambda item_id: 1::float);

update ops.served
set
    slots = list_transform(item_ids, lambda item_id: 'ranked'),
    propensities = list_transform(item_ids, lambda item_id: 1::float);
