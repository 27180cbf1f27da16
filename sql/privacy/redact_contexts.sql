-- Takes context keys whose value is the id of an erased person, or holds it at any depth, out of the events of others. Ids that could be
-- any number are left out.
--
-- reads:   erasing (temporary: user_id)
-- writes:  raw.events
update raw.events
set
    context = nullif(
        json_merge_patch(
            raw.events.context::json,
            concat(
                '{',
                array_to_string(
                    list_transform(
                        list_filter(
                            json_keys(raw.events.context::json),
                            lambda name: list_has_any(
                                list_append(
                                    json_extract_string(json_extract(raw.events.context::json, concat('$."', name, '"')), '$..*'),
                                    json_extract_string(raw.events.context::json, concat('$."', name, '"'))
                                ),
                                distinctive.ids
                            )
                        ),
                        lambda name: concat(to_json(name), ':null')
                    ),
                    ','
                ),
                '}'
            )::json
        )::varchar,
        '{}'
    )
from (
    select list(erasing.user_id) as ids
    from erasing
    where length(erasing.user_id) >= 8
        or (length(erasing.user_id) >= 4 and regexp_matches(erasing.user_id, '[A-Za-z]'))
) as distinctive
where raw.events.context is not null
    and list_has_any(json_extract_string(raw.events.context::json, '$..*'), distinctive.ids)
