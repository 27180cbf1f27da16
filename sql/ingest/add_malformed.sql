-- Adds the lines of a file that could not be split into columns, each with its first error.
--
-- params:  $file_no (integer), $n_header (integer)
-- reads:   reject_errors
-- writes:  malformed
insert into malformed by name
select
    $file_no as file_no,
    line::bigint - $n_header as line,
    'the line is malformed: ' || lower(arg_min(error_type, byte_position)::varchar) as rule,
    explain('the line is malformed: ' || lower(arg_min(error_type, byte_position)::varchar), null) as reason,
    case when not coalesce(getvariable('hides_rows'), false) then shown(arg_min(error_message, byte_position)) end as offending,
    json_object(
        'line',
        case when not coalesce(getvariable('hides_rows'), false)
            then replace(rtrim(any_value(csv_line), chr(10) || chr(13)), chr(0), '')
        end
    ) as row_json
from reject_errors
group by line
