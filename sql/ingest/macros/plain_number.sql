-- A float as text; whole numbers lose their '.0': 17850.0 becomes '17850'.
create or replace temp macro plain_number(number) as case
    when isfinite(number) and number = trunc(number) and abs(number) < 9e15 then number::bigint::varchar
    else number::varchar
end
