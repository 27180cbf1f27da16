-- Puts the new ids of people into events. An event_id that was made of the content of its event follows, so that a file that is taken in
-- again still has no new event.
--
-- reads:   renamed (registered: old_id, new_id)
-- writes:  raw.events
update raw.events
set
    user_id = renamed.new_id,
    event_id = case
        when event_id = content(user_id, item_id, event_type, value, query, occurred_at, context)
            then content(renamed.new_id, item_id, event_type, value, query, occurred_at, context)
        when event_id = md5(concat(content(user_id, item_id, event_type, value, query, occurred_at, context), recommendation_id))
            then md5(concat(content(renamed.new_id, item_id, event_type, value, query, occurred_at, context), recommendation_id))
        else event_id
    end
from renamed
where raw.events.user_id = renamed.old_id
