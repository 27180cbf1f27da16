-- Make room for the new histories.
--
-- writes:  features.user_histories
delete from features.user_histories
