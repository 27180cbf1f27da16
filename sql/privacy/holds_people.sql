-- Whether the lake holds an event or an alias of anybody.
--
-- reads:   raw.events, raw.user_aliases
-- returns: holds_people
select
    exists (select events.event_id from raw.events)
    or exists (select aliases.alias from raw.user_aliases as aliases) as holds_people
