-- What the columns of the ledger of schema changes mean.
comment on table ops.migrations is 'The schema changes that this lake has seen';
comment on column ops.migrations.name is 'File name in sql/schema, without its extension';
comment on column ops.migrations.applied_at is 'Time of the migration, UTC';
