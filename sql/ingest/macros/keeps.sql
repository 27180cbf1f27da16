-- Whether an optional column of events is kept.
create or replace temp macro keeps(name) as
    getvariable('kept_columns') is null or list_contains(getvariable('kept_columns')::varchar[], name)
