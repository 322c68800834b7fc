# bootstrap as it is shipped: static against musl, for one processor. Read by the Makefile when script/lambda calls it with LAMBDA_CPU.
# musl has no strerrordesc_np, and its strerror is one
lambda_root := build/deps-lambda/$(LAMBDA_CPU)
lambda_libs := $(abspath $(lambda_root))
L := build/lambda/$(LAMBDA_CPU)
lambda_home := main_lambda lambda_% answer_options config config_rules metrics
# what reads $metadata, for the command line alone: it needs expat
lambda_not := edmx edmx_set metadata propose sample likeness
lambda_all := $(filter-out src/adapters/store_sqlite% src/adapters/curl_load.c src/adapters/%_mock% src/adapters/notifier_webhook.c \
    src/adapters/secrets_file.c src/adapters/sap_mock% $(lambda_not:%=src/adapters/sap_%.c),$(lib_src)) $(filter $(lambda_home:%=src/home/%.c),$(wildcard src/home/*.c))
lambda_objects := $(lambda_all:%.c=$L/obj/%.o) $L/obj/roots.o
lambda_cflags := -std=gnu11 -O2 -UNDEBUG -fPIE -fno-common -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
    -fstack-protector-strong -ffile-prefix-map=$(CURDIR)/= $(warnings) -D_GNU_SOURCE -Dstrerrordesc_np=strerror -Isrc -isystem $(lambda_root)/root/include -include src/base/banned.h
.PHONY: lambda-elf
lambda-elf: $L/bootstrap
$L/flags: FORCE
	@mkdir -p $(@D) && readlink -f $(lambda_root) > $@.new && echo '$(lambda_cflags) $(lambda_all)' >> $@.new && \
	    if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$L/obj/%.o: %.c $L/flags
	@mkdir -p $(@D) && echo "  zig   $<" && $(lambda_root)/bin/cc $(lambda_cflags) -MD -MP -c $< -o $@
$L/obj/roots.o: build/lambda/roots.c $L/flags
	@$(lambda_root)/bin/cc -Os -fPIE -c $< -o $@
# Linked in its own folder: from one above zig, zig sees its libc by another path and builds it once more.
$L/bootstrap: $(lambda_objects)
	@echo "  link  $@"; cd $L && $(lambda_libs)/bin/cc -Wl,--gc-sections -Wl,-z,relro,-z,now -o $(@F) $(^:$L/%=%) $(lambda_libs)/yyjson.o \
	    $(lambda_libs)/mimalloc.o $(lambda_libs)/utf8proc.o -L$(lambda_libs)/root/lib -lcurl -lssl -lcrypto -lpthread
-include $(lambda_objects:.o=.d)
