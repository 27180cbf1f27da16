-- Records the position of a file's first row among the staged rows.
--
-- params:  $file_no (integer), $source (varchar)
-- reads:   staged
-- writes:  files
insert into files by name
select
    $file_no as file_no,
    $source as source,
    count(*) as first_row
from staged
