-- What the user of a catalog in PostgreSQL may do; PostgreSQL itself runs it.
--
-- grain:   one row
-- returns: user_name, may_read, may_create, is_replica
select
    current_user as user_name,
    has_schema_privilege(current_schema(), 'usage') as may_read,
    has_schema_privilege(current_schema(), 'create') as may_create,
    pg_is_in_recovery() as is_replica
