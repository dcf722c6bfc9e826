module fanfare.dev/bench/smtp-sink
go 1.21
