# The whole fleet: Headscale, gateway, GPU host and the laptops of an operator and of somebody who isn't one.
{
  self,
  scenario,
  hostPkgs,
  ...
}:
let
  name = "headscale.example.org";

  # One certificate, which is its own authority, for the name in the example fleet.
  certificate = hostPkgs.runCommand "headscale-certificate" { nativeBuildInputs = [ hostPkgs.openssl ]; } ''
    mkdir $out
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
      -subj /CN=${name} -addext subjectAltName=DNS:${name} -keyout $out/key.pem -out $out/certificate.pem
  '';

  host =
    folder:
    {
      nodes,
      ...
    }:
    {
      imports = [
        self.nixosModules.default
        (../../hosts + "/${folder}")
      ];

      # A second person, who is no operator.
      bawn.fleet = {
        people.bob = {
          login = "bob@example.org";
          models = [ "coder" ];
        };
        nodes.bob-laptop = {
          role = "laptop";
          owner = "bob";
        };
      };

      security.pki.certificateFiles = [ "${certificate}/certificate.pem" ];
      networking.hosts.${nodes.headscale.networking.primaryIPAddress} = [ name ];
      virtualisation.memorySize = if folder == "gpu" then 3072 else if folder == "gateway" then 2048 else 1024;
    };
in
{
  nodes = {
    headscale =
      { config, ... }:
      {
        imports = [ (host "headscale") ];
        bawn.headscale = {
          certificateFile = "/var/lib/certificates/certificate.pem";
          certificateKeyFile = "/var/lib/certificates/key.pem";
          publicAddresses.ipv4 = config.networking.primaryIPAddress;
        };
        systemd.tmpfiles.rules = [
          "C /var/lib/certificates/certificate.pem 0644 root root - ${certificate}/certificate.pem"
          "C /var/lib/certificates/key.pem 0600 root root - ${certificate}/key.pem"
        ];
      };
    gateway = {
      imports = [ (host "gateway") ];
      systemd.tmpfiles.rules = [
        "d /var/lib/bawn-secrets 0700 root root -"
        "f /var/lib/bawn-secrets/meilisearch-master-key 0600 root root - master-key-of-the-test"
      ];
    };
    gpu = host "gpu";
    ada = host "laptop";
    bob =
      { lib, ... }:
      {
        imports = [ (host "laptop") ];
        bawn.node = lib.mkForce "bob-laptop";
      };
  };

  testScript =
    { nodes, ... }:
    scenario ''
      start_all()
      run(headscale, gateway, gpu, ada, bob, underlay={
          "headscale": "${nodes.headscale.networking.primaryIPAddress}",
          "gateway": "${nodes.gateway.networking.primaryIPAddress}",
          "gpu": "${nodes.gpu.networking.primaryIPAddress}",
      })'';
}
