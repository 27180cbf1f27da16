-- Refuses events that retention would delete again. Of these rows, only the time stays.
--
-- params:  $oldest (timestamp, UTC)
-- writes:  staged
update staged
set
    rule = 'the event is older than events are kept',
    reason = 'the event is older than events are kept (MINUTEHAND_RETENTION__EVENTS_DAYS)',
    offending = staged.occurred_at::varchar,
    flaw = null,
    flaw_reason = null,
    flaw_offending = null,
    user_id = null,
    query = null,
    context = null,
    row_json = json_object('occurred_at', staged.occurred_at)
where staged.rule is null
    and staged.occurred_at < $oldest
