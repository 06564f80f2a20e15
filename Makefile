SHELL := /bin/bash
HOUSE := contracts models edge central rules deploy

.PHONY: types
types:
	@mkdir -p build/house/renzheng
	@for p in $(HOUSE); do ln -sfn ../../../$$p build/house/renzheng/$$p; done
