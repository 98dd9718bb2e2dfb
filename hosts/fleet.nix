# The team: who works where, with which models, on which repositories. This file and each host's hardware.nix are what
# is to be changed.
{
  bawn.fleet = {
    name = "example";

    tailnet = {
      base_domain = "tailnet.example.org";
      server_url = "https://headscale.example.org";
    };

    people.ada = {
      login = "ada@example.org";
      models = [ "coder" ];
      indexes = [
        "code"
        "docs"
      ];
      ssh = true;
    };

    nodes = {
      headscale.role = "headscale";
      gateway = {
        role = "gateway";
        memory_mib = 2048;
      };
      gpu = {
        role = "gpu";
        models = [ "coder" ];
        vram_mib = 24576;
      };
      ada-laptop = {
        role = "laptop";
        owner = "ada";
      };
    };

    # 27 billion parameters in four bits, with 64k tokens of context, on a card of 24 GiB.
    models.coder = {
      file = "Qwen3.6-27B-Q4_K_M.gguf";
      size_mib = 16500;
      kv_mib = 5000;
      context_tokens = 65536;
      slots = 4;
    };
    aliases.default = "coder";

    repositories.app = {
      path = "/srv/git/app";
      branches = [ "main" ];
    };
  };
}
