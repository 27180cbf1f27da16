-- The folders that the connection may reach once it may reach no others.
--
-- params:  $folders (varchar[])
set allowed_directories = $folders
