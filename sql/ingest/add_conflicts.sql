-- Refuses good rows whose event_id is already used by an event with other content.
--
-- grain:   one row per refused row
-- reads:   judged, staging.staged, staging.files
-- writes:  refused
insert into refused by name
with given as (
    select
        staged.rowid as row_no,
        staged.*,
        content(
            staged.user_id, staged.item_id, staged.event_type, staged.value, staged.query, staged.occurred_at, staged.context
        ) as content
    from staging.staged
    where staged.rule is null
        and staged.is_given
)

select
    files.source,
    given.row_no - files.first_row + 1 as line,
    'event_id was given before with another content' as rule,
    explain('event_id was given before with another content', given.event_id) as reason,
    shown(given.event_id) as value,
    true as is_row,
    json_object(
        'event_id', given.event_id, 'user_id', given.user_id, 'item_id', given.item_id, 'event_type', given.event_type,
        'value', given.value, 'query', given.query, 'occurred_at', given.occurred_at::varchar, 'context', given.context
    ) as row_json
from given
inner join judged on given.event_id = judged.event_id
inner join given as firsts on judged.row_no = firsts.row_no
inner join staging.files on given.file_no = files.file_no
where given.content <> coalesce(judged.known_content, firsts.content)
