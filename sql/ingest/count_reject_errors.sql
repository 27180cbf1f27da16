-- The number of errors that the CSV reader reported.
--
-- reads:   reject_errors
-- returns: n_errors
select count(*) as n_errors
from reject_errors
