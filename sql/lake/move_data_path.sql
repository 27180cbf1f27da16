-- Record the new path of the data folder in the catalog.
--
-- params:  $data_path (varchar)
update __ducklake_metadata_lake.ducklake_metadata
set value = $data_path
where key = 'data_path'
