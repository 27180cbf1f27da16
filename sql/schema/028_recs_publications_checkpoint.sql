-- Where the files of each published model version are, so that a reader can load it without MLflow.
--
-- grain:   one row per publish
alter table recs.publications add column checkpoint varchar;
alter table recs.publications add column checkpoint_sha256 varchar;
comment on column recs.publications.checkpoint is 'Folder of the model version on the machine that published it; null if unknown';
comment on column recs.publications.checkpoint_sha256 is 'SHA-256 over the names and contents of its files; null if unknown';
