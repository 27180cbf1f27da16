-- The keys of a context that are not kept; null if all are.
create or replace temp macro context_left_out(context) as case
    when getvariable('kept_context') is not null and is_json_object(context)
        then nullif(
            list_filter(json_keys(json_or_null(context)), lambda name: not list_contains(getvariable('kept_context')::varchar[], name)), []
        )
end
