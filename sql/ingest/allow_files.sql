-- Sets the files that the connection can still read after external access is disabled.
--
-- params:  $files (varchar[])
set allowed_paths = $files
