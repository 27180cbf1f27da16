-- What the columns of the ledger of schema changes mean.
comment on table ops.migrations is 'The schema changes that this lake has seen';
comment on column ops.migrations.name is 'The file of sql/schema, without its ending';
comment on column ops.migrations.applied_at is 'When it was applied, UTC';
