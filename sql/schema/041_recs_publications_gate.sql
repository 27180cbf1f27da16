-- The decision of the gate of the night behind each publication, with its reason and all its numbers.
--
-- grain:   one row per publish
alter table recs.publications add column gate varchar;
alter table recs.publications add column gate_reason varchar;
alter table recs.publications add column gate_figures varchar;
comment on column recs.publications.gate is
'Decision of the gate of the night that published: promoted (its version is the new champion), refused (its version is registered, and the
champion before made the lists); null for other publications';
comment on column recs.publications.gate_reason is 'The version that the gate judged, and why it decided so';
comment on column recs.publications.gate_figures is 'The decision and each number behind it, as JSON; as gate.json in the MLflow run';
