# hourbell: the only build file. `make help` lists what it can do.
# Everything is built into build/$(MODE) (with CC=clang: build/$(MODE)-clang); sources are found by wildcard.
#   MODE=dev      ASan + UBSan, for daily work and for `make test`     MODE=release  what is shipped; asserts stay on
#   MODE=asan     the same sanitizers at -O2                           MODE=tsan     data races of loop and jobs
#   MODE=cov      coverage                                             MODE=fuzz     libFuzzer (clang)
MODE ?= dev
CC := $(if $(filter fuzz,$(MODE)),clang,$(if $(filter default,$(origin CC)),gcc,$(CC)))
export MODE CC
ifeq ($(filter dev release asan tsan cov fuzz,$(MODE)),)
$(error MODE=$(MODE): it is one of dev release asan tsan cov fuzz)
endif
clang := $(findstring clang,$(CC))
cc := $(if $(filter clang,$(CC)),clang-14,$(CC))# Debian has no plain `clang` beside clang-14
B := build/$(MODE)$(if $(clang),$(if $(filter-out fuzz,$(MODE)),-clang))

# --- flags -----------------------------------------------------------------------------------------------------------
packages := libuv openssl libcurl sqlite3 libutf8proc inih expat
warnings := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla $(if $(clang),-Wno-string-conversion)
# gcc guesses about "maybe uninitialized" go wrong under sanitizers; `make lint` builds MODE=release with WARN=-Werror
sanitize := -fsanitize=address,undefined -fno-sanitize-recover=all $(if $(clang),,-Wno-maybe-uninitialized)
mode_dev := -O1 $(sanitize) -Werror
mode_asan := -O2 $(sanitize) -Werror
mode_tsan := -O1 -fsanitize=thread $(if $(clang),,-Wno-maybe-uninitialized) -Werror
mode_cov := -O0 --coverage -Werror
mode_fuzz := -O1 $(sanitize) -fsanitize=fuzzer-no-link -Werror
mode_release := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection \
    -ffile-prefix-map=$(CURDIR)/=
# -gdwarf-4: valgrind 3.19 does not know clang's DWARF 5
CFLAGS := -std=gnu11 -g $(if $(clang),-gdwarf-4) -fPIE -fno-omit-frame-pointer -fno-common $(mode_$(MODE)) $(warnings) $(WARN)
CPPFLAGS := -D_GNU_SOURCE -Isrc -Itests -isystem build/deps/usr/include -isystem build/deps/src \
    $(shell pkg-config --cflags $(packages) 2> /dev/null) -include src/base/banned.h -MD -MP
LDFLAGS := -pie -Wl,-z,relro,-z,now $(filter-out -fsanitize=fuzzer-no-link,$(mode_$(MODE)))
LDLIBS = $(B_yyjson) $(wildcard build/deps/usr/lib/*/libllhttp.a) $(shell pkg-config --libs $(filter-out libcurl,$(packages)) 2> /dev/null) -lpthread# src/adapters/curl_load.c loads libcurl
B_yyjson := $(if $(filter fuzz,$(MODE)),$(B)/libyyjson.a,build/deps/libyyjson.a)

# --- what is built ---------------------------------------------------------------------------------------------------
lib_src := $(sort $(wildcard src/base/*.c src/core/*.c src/adapters/*.c))
home_src := $(sort $(filter-out src/home/main_%.c,$(wildcard src/home/*.c)))
test_src := $(sort $(filter-out tests/fuzz_%.c,$(wildcard tests/*.c)))
fuzz_src := $(filter-out tests/fuzz_main.c,$(sort $(wildcard tests/fuzz_*.c)))
bench_src := $(sort $(wildcard bench/bench_*.c))
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
libs := $(B)/libhome.a $(B)/libhourbell.a
programs := $(B)/hourbell $(B)/bootstrap

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all build where tests tidy analyze run run-aws demo demo-import test test-aws test-long fuzz fuzz-build bench bench-quick bench-lambda bench-build lint lint-aws aws-smoke fmt cov promises \
    generate dist clean help FORCE

all: ## install what is missing, and build the program
	@script/deps run
	@+$(MAKE) --no-print-directory build
build: $(programs) $(libs)
where: # the folder of this MODE and CC, for scripts
	@echo $(B)
tests: $(programs) $(B)/tests fuzz-build ## build the program and its tests
fuzz-build: $(patsubst tests/%.c,$(B)/%,$(fuzz_src))
bench-build: $(programs) $(patsubst bench/%.c,$(B)/%,$(bench_src))

# A file that changes when the commands or the lists change: other flags or a removed source rebuild what they must.
$(B)/flags $(B)/sources: FORCE
	@mkdir -p $(@D)
	@echo '$(if $(filter %/flags,$@),$(cc) $(CPPFLAGS) $(CFLAGS),$(lib_src) $(home_src) $(test_src))' > $@.$$$$ && \
	    if cmp -s $@.$$$$ $@; then rm $@.$$$$; else mv $@.$$$$ $@; fi

$(B)/obj/%.o: %.c $(B)/flags src/base/banned.h
	@mkdir -p $(@D)
	@echo "  cc    $<"
	@$(cc) $(CPPFLAGS) $(CFLAGS) -c $< -o $@
$(B)/obj/src/home/openapi_json.o: src/home/openapi.json # by .incbin, which -MD does not list

archive = @rm -f $@ && ar rcs $@ $(filter %.o,$^)
link = @echo "  link  $@"; $(cc) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter $(B)/%.a,$^) $(filter-out $(B)/%,$(LDLIBS))
$(B)/libhourbell.a: $(call objects,$(lib_src))
$(B)/libhome.a: $(call objects,$(home_src))
$(libs): $(B)/sources
	$(archive)
$(B)/hourbell: $(call objects,src/home/main_hourbell.c) $(libs) $(B_yyjson)
	$(link)
# The AWS home as the system's compiler and libraries make it, for tests; `make lambda` makes the one that is shipped.
$(B)/bootstrap: $(call objects,src/home/main_lambda.c) $(libs) $(B_yyjson)
	@echo "  link  $@"; $(cc) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter $(B)/%.a,$^) $(B_yyjson) \
	    $(shell pkg-config --libs openssl libutf8proc) -ldl -lpthread
include $(if $(LAMBDA_CPU),deploy/lambda/bootstrap.mk)
$(B)/tests: $(call objects,$(test_src)) $(libs) $(B_yyjson)
	$(link)
$(B)/fuzz_%: $(B)/obj/tests/fuzz_%.o $(libs) $(B_yyjson) $(if $(filter fuzz,$(MODE)),,$(B)/obj/tests/fuzz_main.o)
	$(link) $(if $(filter fuzz,$(MODE)),-fsanitize=fuzzer)
$(B)/bench_%: $(B)/obj/bench/bench_%.o $(libs) $(B_yyjson)
	$(link)

# yyjson takes 10 s at -O2 and a minute with sanitizers, so all modes share one; only fuzzing wants it instrumented.
build/deps/libyyjson.a: build/deps/src/yyjson.c
	@flock build/deps.lock sh -c 'test $@ -nt $< || { echo "  cc    $<"; \
	    gcc -std=gnu11 -O2 -g -fPIE -c $< -o $@.o && ar rcs $@.new $@.o && rm $@.o && mv $@.new $@; }'
$(B)/libyyjson.a: build/deps/src/yyjson.c $(B)/flags
	@echo "  cc    $< (instrumented)"
	@$(cc) -std=gnu11 -O1 -g -fPIE -fsanitize=address,fuzzer-no-link -c $< -o $@.o && rm -f $@ && ar rcs $@ $@.o

# An analyser looks at a source again when its object was made anew, that is when a header of it has changed too.
how = $(filter-out -MD -MP,$(CPPFLAGS)) $(filter-out -f% -W%,$(CFLAGS))
all_objects = $(call objects,$(lib_src) $(wildcard src/home/*.c tests/*.c bench/bench_*.c))
tidy: $(all_objects:.o=.tidy)
%.tidy: %.o .clang-tidy
	@clang-tidy-14 --quiet $(*:$(B)/obj/%=%).c -- $(how) 2> $@ || { cat $@; rm $@; exit 1; }
# Leaks are left to the leak check of every test, NULL to clang: gcc 12 loses sight of what is inside a larger struct.
analyze: $(patsubst %.o,%.analyzed,$(filter $(B)/obj/src/%,$(all_objects)))
%.analyzed: %.o
	@$(cc) $(how) -O1 -fanalyzer -Wno-analyzer-malloc-leak -Wno-analyzer-null-dereference \
	    -fdiagnostics-path-format=none -Werror -c $(*:$(B)/obj/%=%).c -o $@

-include $(wildcard $(B)/obj/*/*.d $(B)/obj/*/*/*.d)

# --- what one does ---------------------------------------------------------------------------------------------------
run: ## start hourbell and a mock SAP on this machine, ready to try (WINDOW=1h for the real window)
demo: ## the whole story by itself: create, three updates, the one call that SAP sees
demo-import: ## 40,000 real names through import, updates and delivery, and a check of the result
lambda: ## the zip for AWS Lambda, x86_64 and arm64, in build/lambda
run-aws: ## the whole AWS home on this machine: MiniStack, the six functions, a mock SAP
test: ## install what is missing, build with sanitizers, run every test (under 3 minutes)
test-aws: ## the AWS home on a local AWS: installs the rig, starts it, runs every test of it, stops it
aws-smoke: ## for owners of an account: what no rig can show (ENVIRONMENT=staging OPERATOR_KEY=FILE)
test-long: ## the long tests: simulator seeds, mutations, kill -9, torture, valgrind, fuzzing
fuzz: ## each fuzz target for FUZZ_S seconds (60)
run demo demo-import lambda run-aws test test-aws aws-smoke test-long fuzz lint lint-aws cov promises generate dist:
	@script/$@
bench: ## measure, and write bench/results.md
	@bench/load.sh
bench-lambda: ## the Lambda function beside Rust and Python: start, memory, size, into build/bench
	@bench/lambda.sh
bench-quick: ## the same in two minutes, on a tenth of the devices, into build/bench
	@bench/load.sh --quick
lint: ## formatting, both compilers, analysers, shell scripts, layers, promises
lint-aws: ## the CloudFormation templates: linters, our rules, planted faults; the zip, built twice
fmt: ## format the C files
	@script/format
cov: ## coverage of the tests, as build/cov/coverage.html
promises: ## promises of docs/promises.md that no test cites
generate: ## make the generated files anew from docs/openapi.yaml
dist: ## a source archive of HEAD and the released program, in build/dist
clean: ## remove what was built; downloaded libraries stay
	@find build -mindepth 1 -maxdepth 1 ! -name 'deps*' -exec rm -rf {} +
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20
