module example.org/teu

go 1.19
