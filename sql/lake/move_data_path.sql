-- Note in the catalog that its data folder is at another path.
--
-- params:  $data_path (varchar)
update __ducklake_metadata_lake.ducklake_metadata
set value = $data_path
where key = 'data_path'
