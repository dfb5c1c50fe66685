# make demo   train both stages small on built-in data, evaluate, show where the pictures lie
# make test   run the tests
# make test-long run the long proofs: what the marker `long` of setup.cfg names
# make test-memory prove that the memory of `msrgan upscale` does not grow with the image (long; 10 GB of disk)
# make test-install build a wheel, install it and use it
# make mutants put deliberate faults into a copy of the code, see which no test notices (long; PART=of a name or file)
# make lint   check style
# make lineage run the five published systems, tiny (long)
# make bench  compare speeds side by side (long; TORCH=PYTHON names a Python that has PyTorch, to compare with it)

PYTHON ?= python3
BIN := .venv/bin
DEMO := runs/demo
TORCH ?=

PART ?=

.PHONY: demo test test-long test-memory test-install mutants lint lineage bench clean

.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info < (3, 14), "Python 3.11 to 3.13 is needed: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/python train_vgg.py --width 0.125 --batch-size 64 --learning-rate 1e-3 --epochs 12 --out $(DEMO)/vgg
	$(BIN)/python train_srgan.py --vgg $(DEMO)/vgg --filters 16 --blocks 4 --batch-norm off --batch-size 8 \
		--pretrain-steps 1200 --steps 100 --steps-per-epoch 200 --out $(DEMO)/srgan
	$(BIN)/msrgan evaluate --model $(DEMO)/srgan/model --data simulated --limit 26 --out $(DEMO)/evaluation
	@echo
	@echo "Pictures: $(DEMO)/vgg/confusion.png, $(DEMO)/srgan/samples/, $(DEMO)/evaluation/strips.png"
	@echo "Scores:   $(DEMO)/vgg/per_class.csv, $(DEMO)/srgan/history.csv, $(DEMO)/evaluation/scores.csv"

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: .venv/installed-dev
	$(BIN)/python -m pytest -m long -n 2 --dist loadfile --no-loadscope-reorder

test-memory: .venv/installed-dev
	$(BIN)/python benchmarks/upscaling_memory.py

test-install: .venv/installed-dev
	$(BIN)/python -m pytest -m install tests/install

mutants: .venv/installed-dev
	$(BIN)/python tests/mutants/run.py $(PART)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

lineage: .venv/installed
	$(BIN)/python examples/lineage.py

bench: .venv/installed-dev
	$(BIN)/python benchmarks/phases.py
	$(BIN)/python benchmarks/inference.py $(if $(TORCH),--peers-python $(TORCH))
	$(BIN)/python benchmarks/pipeline.py
	$(BIN)/python benchmarks/training_step.py $(if $(TORCH),--torch-python $(TORCH))

clean:
	rm -rf .venv build *.egg-info
