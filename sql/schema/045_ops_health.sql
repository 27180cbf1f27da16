-- What the hourly health checks found.
--
-- grain:   one row per check and hour
create table ops.health (
    checked_at timestamp not null,
    check_name varchar not null,
    state varchar not null,
    value double,
    usual double,
    low double,
    high double,
    n_days integer not null,
    found varchar not null,
    is_open boolean not null,
    is_announced boolean not null,
    flow_run_id varchar not null
);
comment on table ops.health is 'What the hourly health checks found, with the bands of that hour; minutehand health checks at any time';
comment on column ops.health.checked_at is 'Time of the check, UTC';
comment on column ops.health.check_name is 'events, people, arrivals, unknown items, interests, lag, quality or nights';
comment on column ops.health.state is 'ok, alarm (outside the band) or learning (not enough history for a band, or nothing to check)';
comment on column ops.health.value is 'What was measured; null if there was too little to measure';
comment on column ops.health.usual is 'What is usual, from the 28 days before';
comment on column ops.health.low is 'Start of the band; null if no value is too low';
comment on column ops.health.high is 'End of the band; null if no value is too high';
comment on column ops.health.n_days is 'Days of history behind the band';
comment on column ops.health.found is 'The finding in words';
comment on column ops.health.is_open is 'Whether an alarm is open: from the first alarm until two checks in a row without one';
comment on column ops.health.is_announced is 'False until the start or the end of an alarm was sent as an event; true for all other rows';
comment on column ops.health.flow_run_id is 'The Prefect flow run that checked';
