-- A context without the keys that are not kept: a merge patch with null deletes a key. Null if no key is left.
create or replace temp macro context_kept(context) as case
    when context_left_out(context) is null then context
    else nullif(
        json_merge_patch(
            json_or_null(context),
            ('{' || list_aggregate(
                list_transform(context_left_out(context), lambda name: to_json(name)::varchar || ': null'), 'string_agg', ', '
            ) || '}')::json
        )::varchar,
        '{}'
    )
end
