-- Keeps the certificate of an erasure.
--
-- params:  $erasure_id, $certificate (JSON)
-- writes:  ops.erasures
update ops.erasures
set certificate = $certificate
where erasure_id = $erasure_id
