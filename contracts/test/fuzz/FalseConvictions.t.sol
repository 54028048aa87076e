// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BatchChain, ChainTerms} from "../../src/chain/BatchChain.sol";
import {BatchHeader, IBatchChain} from "../../src/chain/IBatchChain.sol";
import {Dispute, DisputeTerms} from "../../src/dispute/Dispute.sol";
import {CycleClaim, IDispute, PreviousCycle} from "../../src/dispute/IDispute.sol";
import {ParameterStore} from "../../src/lib/ParameterStore.sol";
import {FixedWindowPolicy} from "../../src/policy/FixedWindowPolicy.sol";
import {SingleProposer} from "../../src/policy/SingleProposer.sol";
import {AdlRule} from "../../src/rules/AdlRule.sol";
import {AdminRule} from "../../src/rules/AdminRule.sol";
import {AuctionRule} from "../../src/rules/AuctionRule.sol";
import {BankruptcyRule} from "../../src/rules/BankruptcyRule.sol";
import {CreditRule} from "../../src/rules/CreditRule.sol";
import {ExpiryRule} from "../../src/rules/ExpiryRule.sol";
import {ICycleRule} from "../../src/rules/ICycleRule.sol";
import {InboundRule} from "../../src/rules/InboundRule.sol";
import {LiquidationRule} from "../../src/rules/LiquidationRule.sol";
import {OutboundRule} from "../../src/rules/OutboundRule.sol";
import {ReportRule} from "../../src/rules/ReportRule.sol";
import {RowsRule} from "../../src/rules/RowsRule.sol";
import {TradeRule} from "../../src/rules/TradeRule.sol";
import {Reference} from "../support/Reference.sol";
import {VmTest} from "../support/Vm.sol";

/// @notice The inbound queue as the batch chain asks for it: one hash at one cursor.
contract FixedQueue {
    uint64 public queueLength;
    bytes32 private immutable _hash;

    constructor(uint64 cursor, bytes32 hash) {
        (queueLength, _hash) = (cursor, hash);
    }

    function queueHash(uint64) external view returns (bytes32) {
        return _hash;
    }

    function frozen() external pure returns (bool) {
        return false;
    }
}

/// @notice A right cycle of each kind (vectors/disputes.json: the ledger made them), posted alone on a chain whose genesis is the state
/// before it, and a challenger that sends whatever a seed makes of the right challenge. Nothing convicts. The same by eth_call, with more
/// cycles and states: test/evidence/false-convictions.test.ts.
contract FalseConvictionsTest is VmTest {
    address private constant PROPOSER = address(0x1001);
    uint256 private constant BOND = 1 ether;
    /// @dev Challenges of one fuzz run. tools/evidence counts them by this name.
    uint256 private constant ATTEMPTS_PER_RUN = 4;

    struct Posted {
        string name;
        BatchChain chain;
        Dispute dispute;
        bytes header;
        bytes payload;
        bytes32 postRoot;
        bytes rootWitness;
        bytes[] accounts;
        bytes[] accountWitnesses;
    }

    Posted[] private _posted;
    ICycleRule[] private _rules;
    bytes private _parameters;
    uint32 private _domain;

    /// @dev The reward arrives here: without it no challenge could ever go through.
    receive() external payable {}

    function setUp() external {
        _rules = [
            ICycleRule(new ReportRule()),
            new RowsRule(),
            new TradeRule(),
            new LiquidationRule(),
            new AuctionRule(),
            new BankruptcyRule(),
            new AdlRule(),
            new ExpiryRule(),
            new InboundRule(),
            new OutboundRule(),
            new CreditRule(),
            new AdminRule()
        ];
        string memory json = vm.readFile("vectors/disputes.json");
        _parameters = vm.parseJsonBytes(json, ".parameters");
        _domain = uint32(vm.parseJsonUint(json, ".domain"));
        vm.warp(1_900_000_000);
        vm.deal(PROPOSER, 1_000 ether);
        uint256 count = vm.parseJsonUint(json, ".count");
        for (uint256 i = 0; i < count; ++i) {
            _post(json, string.concat(".cases[", vm.toString(i), "]"));
        }
    }

    // ── posting ────────────────────────────────────────────────────────────────────────────────────────────────────

    function _post(string memory json, string memory place) private {
        Posted storage posted = _posted.push();
        posted.payload = vm.parseJsonBytes(json, string.concat(place, ".payload"));
        posted.postRoot = vm.parseJsonBytes32(json, string.concat(place, ".postRoot"));
        posted.rootWitness = vm.parseJsonBytes(json, string.concat(place, ".rootWitness"));
        if (vm.parseJsonUint(json, string.concat(place, ".accountCount")) > 0) {
            posted.accounts = vm.parseJsonBytesArray(json, string.concat(place, ".accounts"));
            posted.accountWitnesses = vm.parseJsonBytesArray(json, string.concat(place, ".accountWitnesses"));
        }
        BatchHeader memory header;
        header.preStateRoot = vm.parseJsonBytes32(json, string.concat(place, ".preStateRoot"));
        header.timeMs = uint64(vm.parseJsonUint(json, string.concat(place, ".timeMs")));
        header.inboundCursor = uint64(vm.parseJsonUint(json, string.concat(place, ".inboundCursor")));
        header.inboundHash = vm.parseJsonBytes32(json, string.concat(place, ".inboundHash"));
        _deploy(posted, header);
        _postBatch(posted, header);
    }

    function _deploy(Posted storage posted, BatchHeader memory header) private {
        FixedWindowPolicy policy = new FixedWindowPolicy(1 days, 1 hours);
        SingleProposer proposers = new SingleProposer(PROPOSER);
        address queue = address(new FixedQueue(header.inboundCursor, header.inboundHash));
        address store = address(new ParameterStore(_parameters));
        address chainAt = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        posted.dispute = new Dispute(
            DisputeTerms({
                batchChain: IBatchChain(chainAt),
                parameters: store,
                knownKinds: 0x1FFE,
                stakeRegistry: address(0),
                escape: address(0)
            }),
            _rules
        );
        posted.chain = new BatchChain(
            ChainTerms({
                custody: queue,
                genesisRoot: header.preStateRoot,
                domain: _domain,
                bondWei: BOND,
                finalityPolicy: policy,
                proposerPolicy: proposers,
                dispute: address(posted.dispute),
                affirmation: address(1)
            })
        );
    }

    function _postBatch(Posted storage posted, BatchHeader memory header) private {
        bytes memory data = bytes.concat(bytes4(uint32(posted.payload.length)), posted.postRoot, posted.payload);
        header.version = 1;
        header.domain = _domain;
        header.number = 1;
        header.parent = keccak256(abi.encode(header.preStateRoot));
        header.postStateRoot = posted.postRoot;
        header.cyclesRoot = Reference.cycleLeaf(posted.payload, posted.postRoot);
        header.cycleCount = 1;
        header.dataLength = uint32(data.length);
        vm.prank(PROPOSER, PROPOSER);
        posted.chain.postBatch{value: BOND}(header, data);
        posted.header = abi.encode(header);
    }

    // ── the right challenge ────────────────────────────────────────────────────────────────────────────────────────

    struct Challenge {
        BatchHeader header;
        CycleClaim claim;
        PreviousCycle previous;
        bool isOfRoot;
        uint256 account;
        bytes witness;
    }

    function _challenge(Posted storage posted, uint256 random) private view returns (Challenge memory one) {
        one.header = abi.decode(posted.header, (BatchHeader));
        one.claim.postRoot = posted.postRoot;
        one.claim.payload = posted.payload;
        uint256 faces = 1 + posted.accounts.length;
        uint256 face = random % faces;
        one.isOfRoot = face == 0;
        if (one.isOfRoot) {
            one.witness = posted.rootWitness;
            return one;
        }
        one.account = uint24(bytes3(posted.accounts[face - 1]));
        one.witness = posted.accountWitnesses[face - 1];
    }

    function _call(Challenge memory one) private pure returns (bytes memory) {
        return one.isOfRoot
            ? abi.encodeCall(IDispute.challengeRoot, (one.header, one.claim, one.previous, one.witness))
            : abi.encodeCall(IDispute.challengeAccount, (one.header, one.claim, one.previous, one.account, one.witness));
    }

    /// @dev A challenge that comes back has convicted.
    function _mustFail(Posted storage posted, bytes memory call, uint256 gas) private {
        (bool isConvicted,) = address(posted.dispute).call{gas: gas}(call);
        vm.assertFalse(isConvicted);
        vm.assertEq(posted.chain.lastNumber(), 1);
    }

    // ── hostile ones ───────────────────────────────────────────────────────────────────────────────────────────────

    function _next(uint256 random) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(random)));
    }

    /// @dev Bits, words, cuts, tails and moved blocks, anywhere.
    function _mutated(bytes memory original, uint256 random) private pure returns (bytes memory changed) {
        changed = bytes.concat(original);
        uint256 way = random % 6;
        random = _next(random);
        if (changed.length == 0) return abi.encodePacked(random);
        uint256 place = random % changed.length;
        uint256 other = (random >> 128) % changed.length;
        if (way == 0) {
            changed[place] = bytes1(uint8(changed[place]) ^ uint8(1 << (other % 8)));
        } else if (way == 1) {
            changed[place] = bytes1(uint8(random >> 64));
        } else if (way == 2) {
            assembly ("memory-safe") {
                mstore(changed, place)
            }
        } else if (way == 3) {
            changed = bytes.concat(changed, bytes32(random));
        } else if (way == 4) {
            for (uint256 i = 0; i < 64 && place + i < changed.length && other + i < changed.length; ++i) {
                changed[place + i] = original[other + i];
            }
        } else {
            for (uint256 i = place; i < changed.length && i < place + 32; ++i) {
                changed[i] = bytes1(uint8(random >> (i % 32)));
            }
        }
    }

    function testFuzz_hostileWitness(uint256 which, uint256 random) external {
        Posted storage posted = _posted[which % _posted.length];
        for (uint256 i = 0; i < ATTEMPTS_PER_RUN; ++i) {
            random = _next(random);
            Challenge memory one = _challenge(posted, random >> 16);
            one.witness = _mutated(one.witness, random);
            _mustFail(posted, _call(one), gasleft());
        }
    }

    /// @notice The witness of another cycle, another fault or another account.
    function testFuzz_foreignWitness(uint256 which, uint256 random) external {
        Posted storage posted = _posted[which % _posted.length];
        for (uint256 i = 0; i < ATTEMPTS_PER_RUN; ++i) {
            random = _next(random);
            Challenge memory one = _challenge(posted, random >> 16);
            Challenge memory other = _challenge(_posted[random % _posted.length], random >> 32);
            one.witness = other.witness;
            if ((random >> 8) % 2 == 0) (one.isOfRoot, one.account) = (false, other.account);
            if ((random >> 9) % 4 == 0) (one.isOfRoot, one.account) = (false, _next(random));
            _mustFail(posted, _call(one), gasleft());
        }
    }

    /// @notice Payload, root, place, path, neighbour and header of the claim.
    function testFuzz_hostileClaim(uint256 which, uint256 random) external {
        Posted storage posted = _posted[which % _posted.length];
        for (uint256 i = 0; i < ATTEMPTS_PER_RUN; ++i) {
            random = _next(random);
            Challenge memory one = _challenge(posted, random >> 16);
            uint256 way = (random >> 4) % 7;
            if (way == 0) one.claim.payload = _mutated(one.claim.payload, random);
            if (way == 1) one.claim.postRoot = bytes32(_next(random));
            if (way == 2) one.claim.index = uint32(random >> 40);
            if (way == 3) one.claim.path = new bytes32[](1 + (random >> 40) % 3);
            if (way == 4) one.previous.postRoot = bytes32(_next(random));
            if (way == 5) one.header.preStateRoot = bytes32(_next(random));
            if (way == 6) one.header.cycleCount = uint32(1 + ((random >> 40) % 256));
            _mustFail(posted, _call(one), gasleft());
        }
    }

    /// @notice Everything is right but the gas: a verifier that runs dry says nothing.
    function testFuzz_starvedOfGas(uint256 which, uint256 random) external {
        Posted storage posted = _posted[which % _posted.length];
        Challenge memory one = _challenge(posted, random >> 16);
        bytes memory call = _call(one);
        for (uint256 i = 0; i < ATTEMPTS_PER_RUN; ++i) {
            random = _next(random);
            // Small amounts often: most of the steps are there.
            uint256 most = [uint256(30_000), 200_000, 1_000_000, 6_000_000][random % 4];
            _mustFail(posted, call, (random >> 8) % most);
        }
    }

    // ── controls ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice The vectors are right, for these rules.
    function test_theCyclesAreRight() external view {
        for (uint256 i = 0; i < _posted.length; ++i) {
            Posted storage posted = _posted[i];
            BatchHeader memory header = abi.decode(posted.header, (BatchHeader));
            address store = posted.dispute.parameters();
            ICycleRule rule = posted.dispute.ruleOf(uint8(posted.payload[1]));
            (uint256 code, bytes32 root) = rule.execute(store, header.preStateRoot, posted.payload, posted.rootWitness);
            vm.assertEq(code, 0);
            vm.assertEq(root, posted.postRoot);
            for (uint256 j = 0; j < posted.accounts.length; ++j) {
                uint256 account = uint24(bytes3(posted.accounts[j]));
                bytes memory witness = posted.accountWitnesses[j];
                vm.assertEq(rule.check(store, header.preStateRoot, posted.payload, account, witness), 0);
            }
        }
    }

    /// @notice The same challenge convicts when the root is wrong: what fails above fails for a reason.
    function test_aWrongRootIsConvicted() external {
        for (uint256 i = 0; i < _posted.length; ++i) {
            Posted storage posted = _posted[i];
            BatchHeader memory header = abi.decode(posted.header, (BatchHeader));
            posted.postRoot = keccak256("wrong");
            _deploy(posted, header);
            header.dataLength = 0;
            _postBatch(posted, header);
            Challenge memory one = _challenge(posted, 0);
            (bool isConvicted,) = address(posted.dispute).call(_call(one));
            vm.assertTrue(isConvicted);
            vm.assertEq(posted.chain.lastNumber(), 0);
        }
    }
}
