-- Notes who opts out.
--
-- params:  $now (timestamp, UTC)
-- reads:   leaving (temporary: user_id, is_person)
-- writes:  ops.opt_outs
insert into ops.opt_outs by name
select
    leaving.user_id as user_id,
    $now as opted_out_at
from leaving
where leaving.is_person
order by leaving.user_id
