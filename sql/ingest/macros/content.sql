-- The identity of an event: a hash of all mapped fields that does not depend on the file format.
create or replace temp macro content(user_id, item_id, event_type, value, query, occurred_at, context) as md5(concat_ws(
    chr(31),
    user_id,
    coalesce(item_id, chr(30)),
    event_type,
    coalesce(value::double::varchar, chr(30)),
    coalesce(query, chr(30)),
    epoch_us(occurred_at)::varchar,
    coalesce(context, chr(30))
))
