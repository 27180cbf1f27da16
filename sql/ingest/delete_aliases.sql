-- Deletes the aliases that are merged again, before they are inserted with their new user.
--
-- reads:   merged (registered: alias)
-- writes:  raw.user_aliases
delete from raw.user_aliases
where alias in (select merged.alias from merged)
