-- Rule and remedy of a refused row or value, with the same text for every row that breaks the rule; null without a broken rule.
-- value: the offending value; the remedy may depend on whether there is one.
create or replace temp macro explain(rule, value) as case
    when rule is not null then concat(
        rule,
        '; ',
        case
            when rule = 'the line is not a JSON object' then 'write one JSON object a line'
            when rule = 'the row does not satisfy --where' then 'change the predicate if it is wanted'
            when starts_with(rule, 'the line is malformed') then concat(
                'repair the line and take the file in again',
                case when ends_with(rule, 'encoding') then '; if the file is not UTF-8, name its encoding with --encoding' end
            )
            when rule = 'searches are not kept' then 'add query to MINUTEHAND_INGEST__KEEP_COLUMNS if they should be'
            when rule = 'a search has no query' then 'fill the query, or map it with --map query=COLUMN'
            when starts_with(rule, 'recommendation_id') then 'write the id of the list as short text; the event was taken in without it'
            when starts_with(rule, 'position') then 'write the rank in the list, from 1; the event was taken in without it'
            when ends_with(rule, 'is empty') then concat(
                'fill it, or map another column with --map ',
                split_part(rule, ' ', 1),
                '=COLUMN',
                case when value is not null then '; if it is a valid id, use --null-words-as-ids' end
            )
            when ends_with(rule, 'object or array') then concat(
                'map a value inside it, such as --map ', split_part(rule, ' ', 1), '=items[0].', split_part(rule, ' ', 1)
            )
            when ends_with(rule, 'NUL byte') then 'remove the byte: ids are text'
            when ends_with(rule, '512 characters') then 'shorten it: ids and types are short text'
            when ends_with(rule, 'is not a time') then 'write ISO 8601 or unix seconds, or name the format with --time-format'
            when ends_with(rule, 'day or month first')
                then 'no row of the file decides it: name the format, such as --time-format ''%d.%m.%Y %H:%M'''
            when ends_with(rule, 'implausibly early')
                then 'give ISO 8601 or unix seconds; where it is right, lower MINUTEHAND_INGEST__EARLIEST_YEAR'
            when ends_with(rule, 'in the future') then 'correct the clock, or raise MINUTEHAND_INGEST__FUTURE_TOLERANCE_HOURS'
            when starts_with(rule, 'value') then 'write a finite number, or leave it empty'
            when starts_with(rule, 'price') then 'write a finite number of 0 or more; the item was taken in without it'
            when starts_with(rule, 'is_available') then 'write true or false; the item was taken in without it'
            when starts_with(rule, 'context') then 'write an object, or collect columns with --context COLUMN'
            when starts_with(rule, 'event_id') then 'give every event an id of its own, or leave event_id out'
        end
    )
end
