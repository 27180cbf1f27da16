-- The files that the connection may reach once it may reach no others.
--
-- params:  $files (varchar[])
set allowed_paths = $files
