-- Records the key under which the ids of people are pseudonyms from now on.
--
-- params:  $number (integer)
-- writes:  ops.pseudonyms
insert into ops.pseudonyms by name
select
    $number as key_number,
    now()::timestamp as since
