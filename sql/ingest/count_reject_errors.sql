-- How many errors the reader of text met.
--
-- reads:   reject_errors
-- returns: n_errors
select count(*) as n_errors
from reject_errors
