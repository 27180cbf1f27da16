-- Deletes the rules of all scenarios, before new ones are inserted.
--
-- writes:  ops.scenarios
delete from ops.scenarios
