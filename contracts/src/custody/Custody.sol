// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Metadata} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Metadata.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {IBatchChain} from "../chain/IBatchChain.sol";
import {Limits} from "../lib/Limits.sol";
import {MerklePath} from "../lib/MerklePath.sol";
import {OutboxLeaf} from "../lib/OutboxLeaf.sol";
import {ICustody} from "./ICustody.sol";
import {IInboundQueue} from "./IInboundQueue.sol";
import {OutboxCell} from "./OutboxCell.sol";

/// @notice What a custody is made with.
struct CustodyTerms {
    /// @dev Of 6 decimals.
    IERC20Metadata token;
    /// @dev Names this contract in advance (see BatchChain).
    IBatchChain batchChain;
    /// @dev Only caller of `listSeries`; zero = nobody.
    address lister;
    /// @dev Only caller of `adminChange`; zero = nobody.
    address governor;
    /// @dev Time that the venue has to consume a forced entry.
    uint64 forcedPeriodSeconds;
    /// @dev Only caller of `freeze` and `release`: the contract that winds a failed venue up; zero = nobody.
    address escape;
}

/// @notice The five hashes that a state root is made of.
struct StateRoots {
    bytes32 accountsRoot;
    bytes32 instrumentsRoot;
    bytes32 underlyingsRoot;
    bytes32 outboxRoot;
    bytes32 globalsHash;
}

/// @title The vault, the inbound queue and the claims on the outbox
/// @notice One token of 6 decimals. Every entry of the queue is decodable by the ledger: whatever a field's width would
/// allow beyond the ledger's numbers is refused here, because an entry once queued cannot be taken back.
///
/// Deployed after the batch chain, which names this contract's address in advance (see BatchChain).
///
/// @dev Warning: the token must neither charge fees on transfers nor rebase, and its issuer must be trusted not to block
/// this contract. A deposit that arrives short is refused; a balance that shrinks later leaves claims uncovered.
/// @dev Warning: a payment to a recipient that the token refuses cannot be claimed and cannot be redirected; it stays
/// unclaimed and is in nobody else's way.
/// @dev Warning: accounts cost nothing but gas and their numbers end at 2^24 - 1.
/// @dev Warning: deposits end for good when all that was ever paid in reaches 2^52 micro-USDC, withdrawn or not: the
/// ledger counts them in one number, and an entry that it cannot count would stop the queue and with it the venue.
/// @dev Warning: tokens sent here without `deposit` belong to nobody.
contract Custody is ICustody, ReentrancyGuardTransient {
    using SafeERC20 for IERC20;

    event InboundQueued(uint64 indexed index, bytes entry, bytes32 queueHash, uint64 queuedAt);
    event WithdrawalClaimed(uint32 indexed withdrawalNumber, address recipient, uint64 amount);
    event Frozen();
    event Released(address indexed recipient, uint256 amount);

    error TokenDecimals(uint8 decimals);
    error BatchChainNamesAnotherCustody(address custody);
    error ForcedPeriodZero();

    error AccountUnknown(uint24 account);
    error AccountsExhausted();
    error CallerNotAccountOwner(uint24 account, address caller);
    error CallerNotLister(address caller);
    error CallerNotGovernor(address caller);
    error AmountOutOfRange(uint256 amount);
    error DepositMismatch(uint256 received, uint256 amount);
    error DepositsExhausted(uint256 depositedTotal, uint256 amount);
    error KeyZero();
    error TimeOutOfRange(uint64 timeMs);
    error RecipientInvalid(address recipient);
    error SizeOutOfRange(int32 size);
    error PriceOutOfRange(int32 limitPrice);
    error TooManyStrikes(uint256 count);
    error StrikeOutOfRange(uint64 strike);
    error ChangeLengthOutOfRange(uint256 length);

    error StateRootMismatch(bytes32 stateRoot, bytes32 finalRoot);
    error AssetUnknown(uint16 asset);
    error ChainMismatch(uint64 destinationChain);
    error PathLength(uint256 length);
    error OutboxRootMismatch(bytes32 outboxRoot, bytes32 computed);
    error AlreadyClaimed(uint32 withdrawalNumber);

    error CallerNotEscape(address caller);
    error IsFrozen();
    error NotFrozen();

    uint256 public constant OUTBOX_DEPTH = 32;
    /// @notice 0 = treasury, 1 = insurance: both exist from genesis and have no owner here.
    uint24 public constant INSURANCE_ACCOUNT = 1;
    uint24 public constant FIRST_ACCOUNT = 2;
    /// @notice Half of what the ledger's totals hold: cash in sum exceeds what was paid in while premiums are open.
    uint256 public constant DEPOSITS_BOUND = Limits.CASH_BOUND / 2;
    uint8 private constant ENTRY_OPEN_ACCOUNT = 1;
    uint8 private constant ENTRY_DEPOSIT = 2;
    uint8 private constant ENTRY_KEY_GRANT = 3;
    uint8 private constant ENTRY_KEY_REVOKE = 4;
    uint8 private constant ENTRY_CANCEL_ALL = 5;
    uint8 private constant ENTRY_FORCED_WITHDRAWAL = 6;
    uint8 private constant ENTRY_FORCED_CLOSE = 7;
    uint8 private constant ENTRY_FORCED_LIQUIDATION = 8;
    uint8 private constant ENTRY_LIST_SERIES = 9;
    uint8 private constant ENTRY_ADMIN_CHANGE = 10;
    /// @dev The ledger's numbers are safe integers; prices stay below 2^50.
    uint64 private constant SAFE_INTEGER_BOUND = 2 ** 53;
    uint64 private constant PRICE_BOUND = 2 ** 50;

    IERC20 public immutable token;
    IBatchChain public immutable batchChain;
    /// @notice Only caller of `listSeries`; zero = nobody.
    address public immutable lister;
    /// @notice Only caller of `adminChange`; zero = nobody.
    address public immutable governor;
    /// @notice Seconds that the venue has to consume a forced entry.
    uint64 public immutable forcedPeriodSeconds;
    /// @notice Only caller of `freeze` and `release`; zero = nobody.
    address public immutable escape;

    uint64 public queueLength;
    bool public frozen;
    uint24 private _accountLast = FIRST_ACCOUNT - 1;
    /// @notice Sum of all deposits ever; below DEPOSITS_BOUND.
    uint64 public depositedTotal;
    mapping(uint24 account => address) public ownerOf;
    mapping(uint64 length => bytes32) public queueHash;
    /// @inheritdoc IInboundQueue
    mapping(uint64 index => uint64) public forcedDeadlineOf;
    /// @inheritdoc ICustody
    mapping(uint32 withdrawalNumber => bytes32) public claimedLeafOf;
    /// @inheritdoc ICustody
    mapping(uint24 account => mapping(address recipient => bool)) public hasForcedTo;

    modifier whenNotFrozen() {
        if (frozen) revert IsFrozen();
        _;
    }

    modifier onlyAccountOwner(uint24 account) {
        if (msg.sender != ownerOf[account]) revert CallerNotAccountOwner(account, msg.sender);
        _;
    }

    constructor(CustodyTerms memory terms) {
        uint8 decimals = terms.token.decimals();
        if (decimals != 6) revert TokenDecimals(decimals);
        address named = terms.batchChain.custody();
        if (named != address(this)) revert BatchChainNamesAnotherCustody(named);
        if (terms.forcedPeriodSeconds == 0) revert ForcedPeriodZero();
        token = terms.token;
        batchChain = terms.batchChain;
        lister = terms.lister;
        governor = terms.governor;
        forcedPeriodSeconds = terms.forcedPeriodSeconds;
        escape = terms.escape;
    }

    // ── accounts and deposits ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice Gives the caller a new account number.
    function openAccount() external nonReentrant whenNotFrozen returns (uint24 account) {
        return _openAccount();
    }

    /// @notice Pays into any existing account, the insurance account included.
    /// @dev Should the ledger be unable to credit it, the money goes to the outbox for the caller.
    function deposit(uint24 account, uint256 amount) external nonReentrant whenNotFrozen returns (uint64 index) {
        if (account < INSURANCE_ACCOUNT || account > _accountLast) revert AccountUnknown(account);
        return _deposit(account, amount);
    }

    function openAccountAndDeposit(uint256 amount) external nonReentrant whenNotFrozen returns (uint24 account) {
        account = _openAccount();
        _deposit(account, amount);
    }

    // ── keys and orders of an account ──────────────────────────────────────────────────────────────────────────────

    /// @notice Lets `key` act for the account within `scopes` until `expiryMs`; replaces an earlier grant of the key.
    function grantKey(uint24 account, address key, uint8 scopes, uint64 expiryMs)
        external
        nonReentrant
        whenNotFrozen
        onlyAccountOwner(account)
        returns (uint64 index)
    {
        if (key == address(0)) revert KeyZero();
        if (expiryMs >= SAFE_INTEGER_BOUND) revert TimeOutOfRange(expiryMs);
        return _enqueue(abi.encodePacked(ENTRY_KEY_GRANT, account, key, scopes, expiryMs));
    }

    /// @notice Takes a key away and kills every nonce below `minNonce`.
    function revokeKey(uint24 account, address key, uint48 minNonce)
        external
        nonReentrant
        whenNotFrozen
        onlyAccountOwner(account)
        returns (uint64 index)
    {
        if (key == address(0)) revert KeyZero();
        return _enqueue(abi.encodePacked(ENTRY_KEY_REVOKE, account, key, minNonce));
    }

    /// @notice Kills every nonce below `minNonce`.
    function cancelAll(uint24 account, uint48 minNonce)
        external
        nonReentrant
        whenNotFrozen
        onlyAccountOwner(account)
        returns (uint64 index)
    {
        return _enqueue(abi.encodePacked(ENTRY_CANCEL_ALL, account, minNonce));
    }

    // ── forced entries ─────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Withdraws up to `amount`, as far as the account's margin allows, without the venue's consent.
    function forceWithdrawal(uint24 account, uint64 amount, address recipient)
        external
        nonReentrant
        whenNotFrozen
        onlyAccountOwner(account)
        returns (uint64 index)
    {
        if (amount == 0 || amount >= Limits.CASH_BOUND) revert AmountOutOfRange(amount);
        if (recipient == address(0) || recipient == address(this)) revert RecipientInvalid(recipient);
        if (recipient != msg.sender) hasForcedTo[account][recipient] = true;
        return _enqueueForced(abi.encodePacked(ENTRY_FORCED_WITHDRAWAL, account, amount, recipient));
    }

    /// @notice Trades `size` lots (buy > 0) of an instrument at `limitPrice` ticks or better, as far as they reduce the
    /// account's position.
    /// @param nonce place in the account's order ring, free and not below its minNonce
    function forceClose(uint24 account, uint24 instrument, int32 size, int32 limitPrice, uint48 nonce)
        external
        nonReentrant
        whenNotFrozen
        onlyAccountOwner(account)
        returns (uint64 index)
    {
        // The ledger's int32 is symmetric: its lowest value has no opposite.
        if (size == 0 || size == type(int32).min) revert SizeOutOfRange(size);
        if (limitPrice == type(int32).min) revert PriceOutOfRange(limitPrice);
        return _enqueueForced(abi.encodePacked(ENTRY_FORCED_CLOSE, account, instrument, size, limitPrice, nonce));
    }

    /// @notice Has any account put up for auction if it is below maintenance; anyone may ask.
    function forceLiquidation(uint24 account) external nonReentrant whenNotFrozen returns (uint64 index) {
        if (ownerOf[account] == address(0)) revert AccountUnknown(account);
        return _enqueueForced(abi.encodePacked(ENTRY_FORCED_LIQUIDATION, account));
    }

    // ── listing ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Lists the instruments of one expiry; expiryMs 0 lists the perpetual.
    /// @dev Whether the series makes sense is the ledger's judgement; here it is only kept decodable.
    function listSeries(uint16 underlying, uint64 expiryMs, uint64[] calldata strikes)
        external
        nonReentrant
        whenNotFrozen
        returns (uint64 index)
    {
        if (msg.sender != lister) revert CallerNotLister(msg.sender);
        if (expiryMs >= SAFE_INTEGER_BOUND) revert TimeOutOfRange(expiryMs);
        if (strikes.length > Limits.SERIES_STRIKES_MAX) revert TooManyStrikes(strikes.length);
        bytes memory packed = new bytes(8 * strikes.length);
        for (uint256 i = 0; i < strikes.length; ++i) {
            uint64 strike = strikes[i];
            if (strike >= PRICE_BOUND) revert StrikeOutOfRange(strike);
            for (uint256 j = 0; j < 8; ++j) {
                packed[8 * i + j] = bytes1(uint8(strike >> (56 - 8 * j)));
            }
        }
        return _enqueue(abi.encodePacked(ENTRY_LIST_SERIES, underlying, expiryMs, uint16(strikes.length), packed));
    }

    // ── changes of parameters ──────────────────────────────────────────────────────────────────────────────────────

    /// @notice Announces a change of the ledger's parameters; it takes effect after the ledger's delay, if it fits.
    /// @dev What the bytes mean is the ledger's judgement; here the entry is only kept decodable.
    function adminChange(bytes calldata change) external nonReentrant whenNotFrozen returns (uint64 index) {
        if (msg.sender != governor) revert CallerNotGovernor(msg.sender);
        if (change.length == 0 || change.length > Limits.ADMIN_CHANGE_BYTES_MAX) {
            revert ChangeLengthOutOfRange(change.length);
        }
        return _enqueue(abi.encodePacked(ENTRY_ADMIN_CHANGE, uint16(change.length), change));
    }

    // ── claims ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// @notice Pays a withdrawal of a final state to its recipient; anyone may send it.
    /// @param path the 32 siblings from the leaf up
    function claim(
        uint64 batchNumber,
        StateRoots calldata roots,
        uint32 withdrawalNumber,
        OutboxCell calldata cell,
        bytes32[] calldata path
    ) external nonReentrant whenNotFrozen {
        bytes32 stateRoot = keccak256(abi.encode(roots));
        bytes32 finalRoot = batchChain.finalRoot(batchNumber);
        if (stateRoot != finalRoot) revert StateRootMismatch(stateRoot, finalRoot);
        if (cell.asset != 0) revert AssetUnknown(cell.asset);
        if (cell.destinationChain != block.chainid) revert ChainMismatch(cell.destinationChain);
        if (cell.recipient == address(0) || cell.recipient == address(this)) revert RecipientInvalid(cell.recipient);
        if (path.length != OUTBOX_DEPTH) revert PathLength(path.length);
        bytes32 leaf = OutboxLeaf.hash(cell);
        bytes32 computed = MerklePath.root(leaf, withdrawalNumber, path);
        if (computed != roots.outboxRoot) revert OutboxRootMismatch(roots.outboxRoot, computed);
        if (claimedLeafOf[withdrawalNumber] != 0) revert AlreadyClaimed(withdrawalNumber);
        claimedLeafOf[withdrawalNumber] = leaf;
        emit WithdrawalClaimed(withdrawalNumber, cell.recipient, cell.amount);
        token.safeTransfer(cell.recipient, cell.amount);
    }

    /// @inheritdoc ICustody
    function isClaimed(uint32 withdrawalNumber) external view returns (bool) {
        return claimedLeafOf[withdrawalNumber] != 0;
    }

    // ── winding up ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// @inheritdoc ICustody
    /// @dev Warning: with an `escape` address the vault is as safe as that contract; it must be one whose rules are
    /// fixed. With zero neither this nor `release` can ever happen.
    function freeze() external {
        if (msg.sender != escape) revert CallerNotEscape(msg.sender);
        if (frozen) revert IsFrozen();
        frozen = true;
        emit Frozen();
    }

    /// @inheritdoc ICustody
    function release(address recipient, uint256 amount) external nonReentrant {
        if (msg.sender != escape) revert CallerNotEscape(msg.sender);
        if (!frozen) revert NotFrozen();
        emit Released(recipient, amount);
        token.safeTransfer(recipient, amount);
    }

    // ── internals ──────────────────────────────────────────────────────────────────────────────────────────────────

    function _openAccount() private returns (uint24 account) {
        if (_accountLast == type(uint24).max) revert AccountsExhausted();
        account = _accountLast + 1;
        _accountLast = account;
        ownerOf[account] = msg.sender;
        _enqueue(abi.encodePacked(ENTRY_OPEN_ACCOUNT, account, msg.sender));
    }

    function _deposit(uint24 account, uint256 amount) private returns (uint64 index) {
        if (amount == 0 || amount >= Limits.CASH_BOUND) revert AmountOutOfRange(amount);
        uint256 total = depositedTotal + amount;
        if (total >= DEPOSITS_BOUND) revert DepositsExhausted(depositedTotal, amount);
        depositedTotal = uint64(total);
        index = _enqueue(abi.encodePacked(ENTRY_DEPOSIT, account, uint64(amount), msg.sender));
        uint256 balanceBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - balanceBefore;
        if (received != amount) revert DepositMismatch(received, amount);
    }

    function _enqueueForced(bytes memory entry) private returns (uint64 index) {
        index = _enqueue(entry);
        forcedDeadlineOf[index] = uint64(block.timestamp) + forcedPeriodSeconds;
    }

    function _enqueue(bytes memory entry) private returns (uint64 index) {
        index = queueLength;
        bytes32 hash = keccak256(abi.encodePacked(queueHash[index], keccak256(entry)));
        queueLength = index + 1;
        queueHash[index + 1] = hash;
        emit InboundQueued(index, entry, hash, uint64(block.timestamp));
    }
}
