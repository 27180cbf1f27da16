-- Sets the folders that the connection can still use after external access is disabled.
--
-- params:  $folders (varchar[])
set allowed_directories = $folders
