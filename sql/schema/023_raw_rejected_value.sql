-- What was refused apart from why, so that reasons group; and whether the row was to be an event or an item.
--
-- grain:   one row per refused input row
-- writes:  raw.rejected
alter table raw.rejected add column kind varchar;
alter table raw.rejected add column value varchar;
update raw.rejected
set
    kind = case
        when regexp_matches(reason, '^(user_id|event_id|event_type|occurred_at|value|context|a search) ') then 'events'
        when regexp_matches(reason, '^(price|is_available) ') then 'items'
    end,
    value = nullif(regexp_extract(reason, '(?s)^[^(;]+ \((.*)\); ', 1), ''),
    reason = regexp_replace(reason, '(?s)^([^(;]+) \(.*\); ', '\1; ')
where not starts_with(reason, 'the line is malformed');
comment on column raw.rejected.kind is 'events or items; null in rows from before this column existed, if unknown';
comment on column raw.rejected.value is 'The value that breaks the rule';
comment on column raw.rejected.reason is 'Rule and remedy; the same text for every row that breaks the rule';
comment on table raw.rejected is 'Rejected input rows, each with its reason; a row leaves the table when a later ingest accepts it';
